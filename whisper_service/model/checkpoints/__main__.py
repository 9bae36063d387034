"""``python -m whisper_service.model.checkpoints NAME`` fetches a model into the cache."""

import sys

from whisper_service.model.checkpoints.fetch import main

sys.exit(main())
