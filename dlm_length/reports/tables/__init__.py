"""Tables, from records only: a file for each, and modules of what several of them share (`cells`, `measures`)."""
