"""What matchers share: their interface, stored keypoints, matching, verification and LightGlue."""
