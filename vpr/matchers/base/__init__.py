"""What matchers share: the seam, stored keypoints, matching, verification and LightGlue."""
