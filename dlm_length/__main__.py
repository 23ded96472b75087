"""`python -m dlm_length`: the command line `dlmlen`, where its script is not on the path."""

from dlm_length.cli.main import run

if __name__ == "__main__":
    run()
