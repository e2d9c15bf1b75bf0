"""CSV and .npz files, and pairs of files, as data."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from deepfs.data import Loader
from deepfs.datasets import read_csv, read_npz, write_idx


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "table.csv"
        path.write_bytes(text.encode())
        return path

    return write


CASES = {
    "names": ("a,b,class\n1,2,x\n3,4,w\n", [[1, 2], [3, 4]], [1, 0], ("w", "x")),
    "no names": ("1,2,x\n3,4,w\n", [[1, 2], [3, 4]], [1, 0], ("w", "x")),
    "label first": ("label,0,1\n7,1,2\n3,3,4\n", [[1, 2], [3, 4]], [7, 3], None),
    "numbers": ("1;2;0.5\n3;4;7\n", [[1, 2], [3, 4]], [0.5, 7], None),
    "one line": ("a\tb\ty\n1\t2\t3", [[1, 2]], [3], None),
    "quotes": ('"a, b",c\r\n1,"2"\r\n\r\n', [[1]], [2], None),
    "mark": ("\ufeffy,a\n1,2\n", [[2]], [1], None),
}


@pytest.mark.parametrize("case", CASES)
def test_tables(case, table):
    text, x, y, names = CASES[case]
    found = read_csv(table(text))
    assert_array_equal(found[0], np.array(x, np.float32))
    assert_array_equal(found[1], y)
    assert found[0].dtype == np.float32
    assert found[1].dtype == (np.float32 if case == "numbers" else np.int64)
    assert found[2] == names
    loader = Loader(table(text))
    assert_array_equal(loader.x[:], x)
    assert loader.class_names == names


def test_the_column_of_targets_can_be_chosen(table):
    path = table("a,price,c\n1,2,3\n4,5,6\n")
    for target, y in (("price", [2, 5]), (0, [1, 4]), (-1, [3, 6])):
        assert_array_equal(read_csv(path, target)[1], y)
    with pytest.raises(ValueError, match="no column 'prise': did you mean 'price'"):
        read_csv(path, "prise")
    with pytest.raises(ValueError, match="has 3 columns, target=3 is none of them"):
        read_csv(path, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,y\n1,x,3\n", "line 2, column 'b' has 'x'"),
        ("a,b,y\n1,,3\n", "line 2, column 'b' has ''"),
        ("a,b,y\n1,2\n", "table.csv must be a table of numbers: line 2 has 2 columns, of 3"),
        ("a,b,y\n", "must have a line of numbers at least, got none"),
        ("", "got an empty first line"),
        ("y\n1\n", "a column of inputs beside the targets"),
    ],
)
def test_what_is_no_table_of_numbers(text, message, table):
    with pytest.raises(ValueError, match=message):
        read_csv(table(text))


def test_text_in_another_code(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("a,größe\n1,2\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.csv must be text in UTF-8"):
        read_csv(path)


@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels"), ("x_train", "y_train")])
def test_npz_by_the_names_in_use(names, tmp_path):
    x, y = np.arange(6.0).reshape(3, 2), np.array([0, 1, 1])
    path = tmp_path / "a.npz"
    np.savez(path, **dict(zip(names, (x, y), strict=True)), class_names=["cat", "dog"])
    found = read_npz(path)
    assert_array_equal(found[0], x)
    assert_array_equal(found[1], y)
    assert found[2] == Loader(path).class_names == ("cat", "dog")


def test_npz_that_cannot_be_taken(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.zeros(3))
    with pytest.raises(ValueError, match=r"must hold arrays x and y .* got a: write Loader"):
        read_npz(path)
    np.savez(path, x=np.array([{}]), y=np.zeros(1))
    with pytest.raises(ValueError, match=r"a\.npz must be an \.npz file of arrays: Object arrays"):
        read_npz(path)
    path.write_bytes(b"PK no zip")
    with pytest.raises(ValueError, match=r"a\.npz must be an \.npz file of arrays"):
        Loader(path)
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "b.npz")


def test_a_pair_of_idx_files(tmp_path):
    """Images get an axis of channels."""
    x, y = np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.array([1, 0], np.uint8)
    paths = tmp_path / "images-idx3-ubyte.gz", tmp_path / "labels-idx1-ubyte"
    for path, array in zip(paths, (x, y), strict=True):
        write_idx(path, array)
    loader = Loader((str(paths[0]), str(paths[1])))
    assert_array_equal(loader.x[:], x[:, None])
    assert_array_equal(loader.y, y)


def test_files_of_other_kinds(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"1")
    with pytest.raises(
        ValueError, match=r"Loader does not know the kind of .*a\.parquet: it reads"
    ):
        Loader(tmp_path / "a.parquet")
    np.save(tmp_path / "a.npy", np.zeros((3, 2)))
    with pytest.raises(FileNotFoundError, match=r"b\.npy: no such file"):
        Loader((tmp_path / "a.npy", tmp_path / "b.npy"))
    (tmp_path / "c.npy").write_bytes(b"1")
    with pytest.raises(ValueError, match=r"c\.npy must be an \.npy file of numbers"):
        Loader(tmp_path / "c.npy")
