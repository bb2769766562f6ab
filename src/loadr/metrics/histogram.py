"""(to be written) Histogram"""
