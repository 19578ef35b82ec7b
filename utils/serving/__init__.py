"""Serving of exported files over the Open Inference Protocol (V2) with MLServer."""
