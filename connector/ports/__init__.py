"""The seams of the house, one file each: what a room above promises to the rooms that meet here."""
