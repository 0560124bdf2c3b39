"""Files in MedMNIST layout: the official data sets by name, and files of your own."""
