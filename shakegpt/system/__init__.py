"""The machine: files, paths, devices, threads, signals, seeds and settings.

In: plain values and paths. Out: bytes that are whole, the device to compute on, threads that share its cores. Nothing
here knows what a model or a run is.
"""
