"""Starting weights in any public form, read strictly."""
