"""Files from somebody else are decoded in processes of their own, with a limit on memory and time.

No decoder is proof against every file: one that crashes, grows or never ends takes its child process along, and the
next photo gets a fresh one. What a file may use is what a photo of the size in its header should need, generously.

`STRANGERS.open` is the door for whatever a visitor or a dataset brings; `OWN_FILES.open` for a user's own files, with
wider limits. What is in memory already (arrays, Pillow images, Photos) is sent nowhere. On Windows, which cannot hand
an open file to another process by a socket, files are decoded in this process.
"""

from deconvdemo.image.apart.pool import OWN_FILES, STRANGERS, DecodingLimits, Pool

__all__ = ["OWN_FILES", "STRANGERS", "DecodingLimits", "Pool"]
