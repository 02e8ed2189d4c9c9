"""`python -m audio2face` is the command `audio2face`."""

from audio2face.cli.main import main

if __name__ == "__main__":
    main()
