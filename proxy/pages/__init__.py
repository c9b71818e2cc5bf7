"""The pages of one List: `fetcher` gets one of them, `sequence` gets them in order, `shelf` is where they wait."""
