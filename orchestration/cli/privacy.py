"""The commands `privacy …`: find personal data in the data folder."""
