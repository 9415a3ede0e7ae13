"""Question sets of this project and what is measured on them."""
