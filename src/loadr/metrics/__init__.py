"""Room 5: histograms, series, one-second deltas, their merge and the timeline."""
