"""pumpkit"""
