"""The training loop of `Model.fit`, its checks of data, the learning rate range test, and LSUV."""
