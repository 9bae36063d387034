"""``python -m whisper_service.model.checkpoints NAME`` fetches a model into the cache."""

from whisper_service.model.checkpoints.fetch import main

main()
