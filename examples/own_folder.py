"""python own_folder.py FOLDER: learn the pictures FOLDER/class/*.png, write model.safetensors."""

import sys

import deepfs as dfs

pictures = dfs.data.Loader(dfs.datasets.from_directory(sys.argv[1], image_size=32))
network = dfs.networks.mini_convnet(classes=len(pictures.class_names))
model = dfs.Model(network, "cross_entropy", "adam", preprocess=dfs.preprocessing.Standardize())
stop = dfs.callbacks.EarlyStopping(patience=5)  # restores the best epoch
model.fit(pictures, epochs=20, validation_split=0.2, callbacks=[stop])
model.save("model.safetensors")  # knows preprocessing and class names: deepfs predict names them
