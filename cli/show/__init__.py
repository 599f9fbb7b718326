"""What commands print for people: each function takes a console and the object that ``--json`` prints."""
