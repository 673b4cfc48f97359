//! Parameter Store, Secrets Manager and STS.

use aws_sdk_ssm::types::ParameterType;
use testkit::aws::{Fake, Fault, Service};

use crate::clients::{code, config};

#[tokio::test]
async fn a_parameter_is_written_read_and_overwritten() {
    let fake = Fake::start().await;
    let client = aws_sdk_ssm::Client::new(&config(&fake.url()).await);
    let put = |value: &str, overwrite| {
        let request = client.put_parameter().name("/app/token").value(value).overwrite(overwrite);
        request.r#type(ParameterType::SecureString).send()
    };
    let get = async |name: &str, decrypt| {
        let answer = client.get_parameter().name(name).with_decryption(decrypt).send().await.unwrap();
        answer.parameter.unwrap()
    };
    assert_eq!(put("one", false).await.unwrap().version, 1);
    assert_eq!(code(&put("two", false).await.unwrap_err()), "ParameterAlreadyExists");
    assert_eq!(put("two", true).await.unwrap().version, 2);
    let read = get("/app/token", true).await;
    assert_eq!((read.value(), read.version), (Some("two"), 2));
    assert_eq!(get(read.arn().unwrap(), true).await.value(), Some("two"));
    assert_ne!(get("/app/token", false).await.value(), Some("two"), "not decrypted");
    assert_eq!(fake.parameter("/app/token").unwrap().value, "two");
    fake.set_parameter("/app/token", "three");
    assert_eq!(get("/app/token", true).await.version, 3);
    let missing = client.get_parameter().name("/none").send().await.unwrap_err();
    assert!(missing.into_service_error().is_parameter_not_found());
}

#[tokio::test]
async fn a_secret_is_found_by_name_and_arn_and_keeps_its_previous_value() {
    let fake = Fake::start().await;
    let client = aws_sdk_secretsmanager::Client::new(&config(&fake.url()).await);
    let made = client.create_secret().name("app/key").secret_string("one").send().await.unwrap();
    let arn = made.arn.unwrap();
    client.put_secret_value().secret_id(&arn).secret_string("two").send().await.unwrap();
    for id in ["app/key", &arn] {
        let read = client.get_secret_value().secret_id(id).send().await.unwrap();
        assert_eq!((read.secret_string(), read.name()), (Some("two"), Some("app/key")));
    }
    let previous = client.get_secret_value().secret_id(&arn).version_stage("AWSPREVIOUS").send().await.unwrap();
    assert_eq!(previous.secret_string(), Some("one"));
    assert_eq!(fake.secret("app/key").as_deref(), Some("two"));
    assert_eq!(fake.set_secret("app/key", "three"), arn);
    let again = client.create_secret().name("app/key").secret_string("x").send().await.unwrap_err();
    assert!(again.into_service_error().is_resource_exists_exception());
    let missing = client.get_secret_value().secret_id("none").send().await.unwrap_err();
    assert!(missing.into_service_error().is_resource_not_found_exception());
}

#[tokio::test]
async fn faults_have_the_form_of_each_service() {
    let fake = Fake::start().await;
    fake.set_parameter("/app/token", "one");
    fake.set_secret("app/key", "one");
    let config = config(&fake.url()).await;
    let ssm = aws_sdk_ssm::Client::new(&config);
    let secrets = aws_sdk_secretsmanager::Client::new(&config);
    for (fault, expected) in [
        (Fault::throttle(), "ThrottlingException"),
        (Fault::error(400, "AccessDeniedException"), "AccessDeniedException"),
        (Fault::error(503, "ServiceUnavailable"), "ServiceUnavailable"),
        (Fault::no_answer(), "no answer"),
    ] {
        let fault = fake.inject(fault);
        assert_eq!(code(&ssm.get_parameter().name("/app/token").send().await.unwrap_err()), expected);
        assert_eq!(code(&secrets.get_secret_value().secret_id("app/key").send().await.unwrap_err()), expected);
        fake.heal(fault);
    }
    ssm.get_parameter().name("/app/token").send().await.unwrap();
    assert_eq!((fake.calls("GetParameter"), fake.calls_to(Service::SecretsManager)), (5, 4));
}

#[tokio::test]
async fn the_caller_is_told_who_he_is_whether_signed_in_a_header_or_in_the_url() {
    let fake = Fake::start().await;
    let http = reqwest::Client::new();
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let post = http.post(fake.url()).header("content-type", "application/x-www-form-urlencoded").body(form);
    let presigned = http.get(format!("{}/?{form}&X-Amz-Signature=00", fake.url()));
    for request in [post.header("authorization", "none is checked"), presigned] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.text().await.unwrap().contains("<Account>000000000000</Account>"));
    }
    assert_eq!(fake.calls("GetCallerIdentity"), 2);
}
