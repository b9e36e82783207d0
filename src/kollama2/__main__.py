"""`python -m kollama2` is the command `kollama2`."""

from kollama2.cli.app import main

if __name__ == "__main__":
    main()
