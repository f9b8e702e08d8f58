"""Samplers that look back on the steps before: more than first order with one call a step."""
