"""One torch thread: tests run side by side, and small tensors are faster that way."""

import torch

torch.set_num_threads(1)
