"""``python -m whisper_service``: the command line."""

from whisper_service.cli import main

if __name__ == "__main__":
    main(prog_name="python -m whisper_service")
