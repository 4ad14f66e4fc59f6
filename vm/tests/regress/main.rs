//! One file for each mistake that was found after it had been made, however it was found.

mod start_with_parameters;
