"""What explains an AP: kinds of errors, breakdowns, report and overlays."""
