//! What a program sends just before it ends.

use bartizan_testkit::{TcpSink, eventually};

use crate::world::World;

#[test]
fn what_was_sent_before_the_end_arrives() {
    World::each(|world| {
        for _ in 0..3 {
            let sink = TcpSink::start();
            world.dns.addresses("allowed.test", &["127.0.0.1"]);
            world.policy(&format!(
                "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow: [{{ host: allowed.test, ports: {}, private: true }}]\n",
                sink.port()
            ));
            let script = "import socket,sys\ns=socket.create_connection(('allowed.test',int(sys.argv[1])))\ns.sendall(b'x'*1048576)\n";
            world.run(["python3", "-c", script, &sink.port().to_string()]).success();
            eventually("all of it arrived", || sink.arrived().byte_count == 1_048_576);
            world.assert_closed("net.connect", "allowed.test", "done");
        }
    });
}
