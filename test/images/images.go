// Package images runs real programs natively and inside the sandbox and compares what they
// print and how they end. The scripts are in the folder scripts, one per file; there is
// nothing here to import.
package images
