"""`make demo`: the main job from an empty machine to a proven push, driven as a user would drive it."""
