"""A patient's own pages: the record in plain words, who saw it, which apps may see it, who stands in."""
