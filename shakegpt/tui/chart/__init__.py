"""The chart screen: snapshots of one or several runs in, their curves with axes, a cursor, zoom and pan out."""
