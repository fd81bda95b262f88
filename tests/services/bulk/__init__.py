"""Tests of suture/services/bulk."""
