"""A folder of images, or a table of them, as a data set."""
