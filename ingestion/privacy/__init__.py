"""What is held about people: found, handed out, erased and expired, in every file of the data folder."""
