"""The whole way in one sitting: damage a photo, restore it, measure it, flag it, and export the flag as a dataset.

Runs offline in seconds: `python docs/example.py [FOLDER]`, or cell by cell in an editor that knows `# %%`.
"""

# %% A photo, and what disturbs it: y = x + n
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from deconvdemo import Restorer
from deconvdemo.degradations import GaussianNoise
from deconvdemo.feedback.events.records import Flag
from deconvdemo.feedback.exchange.export import export_dataset
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.image import PHOTOS
from deconvdemo.image.metrics import psnr

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="deconvdemo-example-"))
folder.mkdir(parents=True, exist_ok=True)

clean = np.asarray(Image.open(PHOTOS / "cat.webp").convert("RGB").crop((60, 40, 252, 232)))  # (192, 192, 3), uint8
x = torch.from_numpy(clean / np.float32(255)).permute(2, 0, 1)[None]  # (1, 3, 192, 192) in [0, 1]
y = GaussianNoise(sigma=25)(x, torch.Generator().manual_seed(0))
observed = (y[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()

# %% Restored by the bundled weights; sigma is estimated unless it is given
restorer = Restorer.load(device="cpu", precision="fp32")
restoration = restorer.restore("denoise", observed, variant="fast")
restoration.save(folder / "restored.png")
print(restoration.summary())

# %% How good is it? PSNR against the clean photo, for some strengths
print(f"observed:      {psnr(observed, clean):.2f} dB")
for strength in (0.5, 0.8, 1.0):
    again = restorer.restore("denoise", observed, sigma=25, strength=strength, variant="fast")
    print(f"strength {strength}:  {psnr(np.asarray(again.image), clean):.2f} dB")


# %% A flag is a fact: what went in, what came out, by which weights, and what is wrong with it
def file(name: str, pixels: np.ndarray) -> bytes:
    Image.fromarray(pixels).save(folder / name)
    return (folder / name).read_bytes()


store = FeedbackStore(folder / "data")
flag = Flag(
    task=restoration.task,
    observed=file("observed.png", observed),
    restored=(folder / "restored.png").read_bytes(),
    clean=file("clean.png", clean),
    reasons=("too_smooth",),
    comment="the whiskers are gone",
    controls=restoration.controls,
    checkpoint=restoration.checkpoint,
    consent=True,
)
saved = store.add(flag)  # durable when it returns
print(f"flag {saved.flag_id} is {saved.state}")

# %% All flags as the dataset that `datasets.load_dataset(FOLDER, "flags")` opens
export_dataset(store, folder / "dataset")
store.close()
print(*sorted(str(path.relative_to(folder)) for path in (folder / "dataset").rglob("*.parquet")))
