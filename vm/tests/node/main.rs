//! Nodes: programs that leave a terminal, come to a node, move on, and end; with real processes, real
//! sockets and SIGKILL.

mod bed;
mod behind;
mod callers;
mod hostile;
mod isolate;
mod moves;
mod rows;
mod survival;
mod trees;
