"""What is saved and how, as the results call it."""

LARGE, SMALL = SUBJECTS = ("large", "small")
HOOKRL = {backend: f"hookrl, {backend}" for backend in ("torch", "torchsnapshot")}
BACKGROUND = {backend: f"{name}, in background" for backend, name in HOOKRL.items()}
MAPPED = {backend: f"{name}, into mapped storage" for backend, name in HOOKRL.items()}
TORCH_SAVE = "torch.save"
