"""Reading data sets: from names, ``.npz`` files and folders of images."""
