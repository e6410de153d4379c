//! Data keys kept in S3, as moto plays it, whose command `SECRETUM_MOTO` names.

use crate::grpc::{ANY_PORT, channel, data_key};
use crate::moto::Moto;
use crate::running::Place;

fn place(moto: &Moto) -> Place {
    Place::local(&format!(
        "{ANY_PORT}[service.data_keys]\nstorage = \"storage://aws?bucket=keys&region=us-east-1\
         &accessKeyID=a&accessKey=planted-s3&endpoint={}&prefix=team\"\n",
        moto.address
    ))
}

#[tokio::test]
async fn two_services_over_one_bucket_have_one_key() {
    let Some(moto) = Moto::start().await else {
        return;
    };
    let mut one = place(&moto).start();
    let mut two = place(&moto).start();
    let channels = [channel(&mut one).await, channel(&mut two).await];
    // One after the other, whoever is first.
    for (at, id) in ["a", "b"].into_iter().enumerate() {
        let first = data_key(&channels[at], id, 32).await.unwrap();
        let second = data_key(&channels[1 - at], id, 32).await.unwrap();
        assert_eq!(first, second);
    }
    // Of two first ones at once nothing is asked here: moto looks and then writes, S3 does both in one.
    assert!(!one.log().contains("planted-s3"), "{}", one.log());
    drop(moto);
    let gone = data_key(&channels[0], "a", 32).await.unwrap_err();
    assert_eq!(gone.code(), tonic::Code::Unavailable, "{gone}");
}
