import deepfs as dfs
from playground import page

result = dfs.lab.difference_errors(seed=0, quick=True)
print(result.data.keys())  # the arrays behind the picture, for a look of your own
page.result(result)
