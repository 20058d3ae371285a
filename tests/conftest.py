"""One torch thread, since tests run side by side; no deadlines, since machines are busy."""

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("hookrl", deadline=None)
settings.load_profile("hookrl")
