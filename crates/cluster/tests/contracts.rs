//! The adapters keep what the ports promise, on private servers.

mod common;

mod queue {
    use crate::common::Servers;

    ery_channel_queue::channel_queue_contract!(Servers::start().await);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_seized_lease_is_lost() {
        let servers = Servers::start().await;
        ery_channel_queue::testing::a_seized_lease_is_lost(&servers, async |fence| {
            let key = format!("ery:lease:{{{}}}", fence.channel);
            servers.redis.command(redis::Cmd::del(key)).await.unwrap();
        })
        .await;
    }
}

mod bus {
    use crate::common::Servers;

    ery_event_bus::event_bus_contract!(Servers::start().await);
}

mod membership {
    use crate::common::Servers;

    ery_membership::membership_contract!(Servers::start().await);
}

mod budgets {
    use crate::common::Servers;

    ery_budgets::budgets_contract!(Servers::start().await);
}
