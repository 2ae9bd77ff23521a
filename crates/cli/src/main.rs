mod terminal;

fn main() {}
