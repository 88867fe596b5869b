"""Read so many stories once, nothing cached, and print peak memory beyond the loaded model and the seconds, as JSON.

Usage: one_extraction.py MODEL COUNT
"""

import json
import resource
import sys
import time

import emokit

model = emokit.load_model(sys.argv[1])
stories = emokit.load_stories(emotions="all")
texts = [story.text for story in stories][: int(sys.argv[2])]
emokit.activations.story_means(model, texts[:16], cache=False)  # buffers that any use needs
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begun = time.perf_counter()
emokit.activations.story_means(model, texts, cache=False)
seconds = time.perf_counter() - begun
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(
    json.dumps({"seconds": round(seconds, 1), "a story": round(seconds / len(texts), 3), "peak MB": round(peak / 1024)})
)
