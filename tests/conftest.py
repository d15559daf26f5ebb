"""Small tensors on few cores: torch's threads only get in one another's way here. The tests are read in English."""

import os

import torch

torch.set_num_threads(1)
os.environ["TUTOR_LANG"] = "en"
