"""Drawer of the forms that `import` reads, one file each; vpr/importing/drawer.py lists them."""
