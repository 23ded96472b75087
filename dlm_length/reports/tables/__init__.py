"""Tables, from records only: a file for each kind, and modules of what several of them share (`cells`, `measures`)."""
