"""Read so many stories once, nothing cached, and print peak memory beyond the loaded model and the seconds, as JSON.

Usage: one_extraction.py MODEL COUNT
"""

import json
import sys
import threading
import time

import psutil

import emokit

model = emokit.load_model(sys.argv[1])
stories = emokit.load_stories(emotions="all")
texts = [story.text for story in stories][: int(sys.argv[2])]
emokit.activations.story_means(model, texts[:16], cache=False)  # buffers that any use needs
process, done = psutil.Process(), threading.Event()
before = peak = process.memory_info().rss  # now: the highest so far was that of loading


def watch() -> None:
    """Keep the highest memory seen."""
    global peak
    while not done.wait(0.005):
        peak = max(peak, process.memory_info().rss)


watcher = threading.Thread(target=watch)
watcher.start()
begun = time.perf_counter()
emokit.activations.story_means(model, texts, cache=False)
seconds = time.perf_counter() - begun
done.set()
watcher.join()
found = {
    "seconds": round(seconds, 1),
    "a story": round(seconds / len(texts), 3),
    "peak MB": round((peak - before) / 2**20, 1),
}
print(json.dumps(found))
