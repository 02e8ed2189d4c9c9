"""Evaluation of training runs on shots that training has not seen: animation, scores, baselines, and a report."""
