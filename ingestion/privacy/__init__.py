"""Finds, exports, erases and expires data about people, in every file of the data folder."""
